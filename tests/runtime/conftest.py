"""One embedded Ray for the tests of this room that need one: each start takes seconds of several processes."""

import pytest


@pytest.fixture(scope="package")
def embedded_ray():
    from somray.runtime.on_ray.session import ray_session

    with ray_session(cpus=3):
        yield


@pytest.fixture(scope="module")
def cluster(embedded_ray, request):
    """Three CPUs of Ray, whose workers know the functions of the test's module, which they cannot import."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(request.module)
