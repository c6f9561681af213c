"""A trained network as files that others load: `python -m mapping.export MODEL --to FORMAT --output DIR`.

`formats` lists the formats, each a class in a file or folder of its own here; `source` is what they are given, `folder`
how what they write becomes a folder, whole or not at all.
"""
