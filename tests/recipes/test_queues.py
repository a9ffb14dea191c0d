"""Jobs of four queues act for an owner, and try again where that helps and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.results import ResultError, Results
from dramatiq.results.backends import StubBackend
from fakeredis import FakeStrictRedis
from flask import Flask
from flask.testing import FlaskClient
from huey import MemoryHuey
from huey.exceptions import TaskException
from recipes import jobs_celery, jobs_dramatiq, jobs_huey, jobs_rq
from recipes.shop import wepay
from rq import Queue, SimpleWorker
from rq.timeouts import TimerDeathPenalty

from flask_wepay.sandbox import Sandbox

#: Do a job for an owner, and give its result, or None where it failed for good.
Work = Callable[[str], Any]


@pytest.fixture
def by_celery(shop: Flask) -> Work:
    # Eager: in this process, and retries at once.
    celery = jobs_celery.make_celery(shop, task_always_eager=True)

    def work(owner: str) -> Any:
        result = celery.tasks["accounts"].delay(owner)
        return result.result if result.successful() else None

    return work


@pytest.fixture
def by_rq(shop: Flask) -> Work:
    queue = Queue(connection=FakeStrictRedis())

    class Worker(SimpleWorker):
        death_penalty_class = TimerDeathPenalty

    def work(owner: str) -> Any:
        job = queue.enqueue(jobs_rq.accounts, owner)
        with shop.app_context():
            # What waits for its next try is taken at once.
            for _ in range(7):
                Worker([queue], connection=queue.connection).work(burst=True)
                for job_id in queue.scheduled_job_registry.get_job_ids():
                    queue.scheduled_job_registry.remove(job_id)
                    queue._enqueue_job(job)
        result = job.latest_result()
        return result.return_value if result.type is result.Type.SUCCESSFUL else None

    return work


@pytest.fixture
def by_huey(shop: Flask) -> Work:
    huey = MemoryHuey()
    accounts = jobs_huey.make_task(shop, huey)

    def work(owner: str) -> Any:
        result = accounts(owner)
        # What waits for its next try is taken at once.
        later = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=2)
        while tasks := [task] if (task := huey.dequeue()) else huey.read_schedule(later):
            for task in tasks:
                huey.execute(task, later)
        try:
            return result.get()
        except TaskException:
            return None

    return work


@pytest.fixture
def by_dramatiq(shop: Flask) -> Iterator[Work]:
    broker = StubBroker()
    broker.add_middleware(Results(backend=StubBackend()))
    broker.emit_after("process_boot")
    accounts = jobs_dramatiq.make_actor(shop, broker)
    accounts.options["min_backoff"] = 1
    accounts.options["max_backoff"] = 1
    worker = dramatiq.Worker(broker, worker_timeout=10)
    worker.start()

    def work(owner: str) -> Any:
        message = accounts.send(owner)
        broker.join(accounts.queue_name, fail_fast=False)
        worker.join()
        try:
            return message.get_result(backend=broker.get_results_backend())
        except ResultError:
            return None

    yield work
    worker.stop()
    broker.close()


queues = pytest.mark.parametrize("queue", ["by_celery", "by_rq", "by_huey", "by_dramatiq"])


@queues
def test_job(
    request: pytest.FixtureRequest, shop: Flask, connected: FlaskClient, queue: str
) -> None:
    """A job finds the owner's token in its worker."""
    with shop.app_context():
        wepay.client_for("alice").call("account/create", name="Bridge", description="d")

    assert request.getfixturevalue(queue)("alice") == ["Bridge"]


@queues
def test_again(
    request: pytest.FixtureRequest, connected: FlaskClient, wepay_sandbox: Sandbox, queue: str
) -> None:
    """A look-up without a usable answer is made again."""
    work: Work = request.getfixturevalue(queue)
    # A look-up is repeated once by the package itself.
    wepay_sandbox.answer_next("account/find", error_code=1008, times=3)

    assert work("alice") == []
    assert wepay_sandbox.count("account/find") >= 4


@queues
def test_never_again(
    request: pytest.FixtureRequest, connected: FlaskClient, wepay_sandbox: Sandbox, queue: str
) -> None:
    """For who is not connected, and after a no of WePay's, trying again does not help."""
    work: Work = request.getfixturevalue(queue)
    wepay_sandbox.answer_next("account/find", error_code=1010, times=9)

    assert work("nobody") is None
    assert work("alice") is None
    assert wepay_sandbox.count("account/find") == 1
