"""What names of folders and files tell: whose, when, which contrast; and ids made of them."""
