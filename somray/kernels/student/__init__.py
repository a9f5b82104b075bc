"""The student: a compact U-Net that learns the teacher's target from one labelled slice."""
