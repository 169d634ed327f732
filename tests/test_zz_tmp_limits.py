import functools, pytest
from unifetch.backends import BACKENDS, is_installed, load
from unifetch.testing.conformance.limits import *
from unifetch.testing.conformance.limits import TestConnectionLimits, TestFloods, TestBombs
@pytest.fixture(params=list(BACKENDS))
def backend_factory(request):
    if not is_installed(BACKENDS[request.param]): pytest.skip("no")
    return functools.partial(load(request.param))
