"""What a user sets: the environment's variables, their syntax, and what is wrong with a value."""
