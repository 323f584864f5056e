"""Numbers of databases become text where others hold text, if `merge.cast: text` allows it.

- `cast` lets copies of the sources hold text; the base's column becomes text by the same rule.

What may be changed: which sources are copied.

The folder promises that no source changes.
"""
