"""Version tags: suggest, make, push, list, show, compare, get, check out, verify."""
