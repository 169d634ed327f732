"""How Sphinx builds the site: offline, with warnings as errors, and twice the same (`tox -e docs`)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the extension, and the facts

from unifetch.version import VERSION

project = "unifetch"
author = copyright = "the unifetch developers"
release = version = VERSION

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "extension"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "facts", "examples"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
smartquotes = False  # what is quoted is code
nitpicky = False  # signatures name types of the standard library, whose inventory is not at hand offline

autodoc_mock_imports = ["httpx", "httpx2", "requests", "urllib3", "opentelemetry"]  # of bridges and listeners
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
default_role = "code"  # docstrings write `names` so
napoleon_use_ivar = True

html_theme = "furo"
html_title = "unifetch"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_last_updated_fmt = None  # two builds are the same
html_copy_source = False
html_show_sphinx = False
html_show_search_summary = False  # the search would fetch each page, which a browser forbids where there is no server
html_theme_options = {"navigation_with_keys": False}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
