"""The key `promote.confidence`: a gain that may be noise puts no new model into production.

- `margin`: how far the gain of the best challenger may be from the true one, as the gate asks.
- `noise`: how that follows from the predictions of two models, by a paired bootstrap.

What may be changed: `DRAWS`, which trades time for how well the margin is known.

Promise: of equally good models at most the share `1 - promote.confidence` is promoted, however many
challenge at once.
"""
