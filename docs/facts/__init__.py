"""The facts of the comparison: what each library does when it is asked, as runs have shown it, never by hand.

A *scenario* (`scenarios.py`) is a call and the script of a server; a *subject* (`subjects.py`) is a library by
its own ordinary call, or unifetch on one of its backends. Each pair runs in a process of its own (`worker.py`)
against a server that records (`recorder.py`), and leaves one record. All records stand in `facts.json`, which
the pages of the site read, and which `python -m facts` (in the folder `docs`) holds against new runs.
"""
