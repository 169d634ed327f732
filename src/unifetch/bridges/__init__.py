"""unifetch underneath other people's clients: `unifetch.bridges.httpx`, `.httpx2` and `.requests`.

A backend carries unifetch on somebody's library; a bridge is the other way round. None is imported before it is named.
"""
