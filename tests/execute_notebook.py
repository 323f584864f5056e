"""Execute a notebook where it lies, and write it with its outputs elsewhere: execute_notebook.py NOTEBOOK RESULT."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

notebook, result = map(Path, sys.argv[1:])
content = nbformat.read(notebook, as_version=4)
NotebookClient(content, resources={"metadata": {"path": str(notebook.parent)}}).execute()
nbformat.write(content, result)
