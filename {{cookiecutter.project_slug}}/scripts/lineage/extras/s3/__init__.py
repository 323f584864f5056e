"""An S3 remote is looked at by `make setup` and `make doctor`: does it answer, do credentials fit.

- `ask`: asks it for one object; says what is wrong, and what helps; keeps an AWS profile that fits.

DVC itself pushes and pulls without this folder. What may be changed: the words. Promise: nothing is
written to the remote, and a profile is kept only once it worked.
"""
