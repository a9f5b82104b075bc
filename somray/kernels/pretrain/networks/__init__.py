"""Networks that can be pretrained: image inputs in, planes of full resolution out, whatever the sides."""
