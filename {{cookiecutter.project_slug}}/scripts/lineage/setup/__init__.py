"""Make a project ready to work in, and say what is wrong with it."""
