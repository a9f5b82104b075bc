"""The verb `pretrain`."""
