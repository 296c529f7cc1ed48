"""Databases, an application and a small world for the tests. Domain tests need none of this."""

from __future__ import annotations

import gc
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from jinja2 import FileSystemBytecodeCache
from psycopg import sql
from sqlalchemy import Dialect, event, make_url

from inventory import create_app
from inventory.services import audit
from tests import postgres
from tests.world import World, build_world

# A machine that is busy with something else is no fault of a test.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

audit.STRICT = True

NOW = datetime(2024, 5, 15, 3, 0, tzinfo=UTC)
"""A Wednesday, 11:00 in Denpasar."""
TODAY = date(2024, 5, 15)
CROWD = {"pool_size": 60, "max_overflow": 0}
"""Engine options that give each of up to 60 threads a connection, instead of a turn on a shared one."""

# Every commit waits for the disk, as it must; thousands of databases of tests are quicker in memory, where it is roomy.
if postgres.IN_MEMORY:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(postgres.IN_MEMORY))


ROOT = Path(__file__).parent
PAGES_AND_API = (ROOT / "web", ROOT / "api")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Rules about stock run on both databases always. Pages and the API, which have none of their own, run on SQLite in
    the short run, and on PostgreSQL among the long tests: all but what runs there alone."""
    known = {item.nodeid for item in items}
    for item in items:
        of_pages = any(item.path.is_relative_to(folder) for folder in PAGES_AND_API)
        if of_pages and "postgresql" in item.name and item.nodeid.replace("postgresql", "sqlite") in known:
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """What was imported and collected is there to the end: nobody need look through it for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres.server() as url:
        if url is None:
            if os.environ.get("CI"):
                pytest.fail("no PostgreSQL server: install one or set TEST_DATABASE_URL")
            warnings.warn("NO POSTGRESQL SERVER: half of the tests are skipped", pytest.PytestWarning, stacklevel=1)
            pytest.skip("no PostgreSQL server: install one or set TEST_DATABASE_URL")
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file with the small world in it, to be copied for each test."""
    file = tmp_path_factory.mktemp("template") / "blangko.sqlite3"
    _fill(f"sqlite:///{file}", file.parent)
    return file


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    name = f"blangko_template_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    _fill(postgres.database(postgres_url, name), tmp_path_factory.mktemp("instance"))
    return name


Filling = Callable[[World], None]


@pytest.fixture(scope="session")
def sqlite_filled(sqlite_template: Path, compiled: Path) -> Callable[[Filling | None], Path]:
    """The template's file; with a filling, a copy of it that was filled once."""
    filled: dict[Filling | None, Path] = {None: sqlite_template}

    def get(filling: Filling | None) -> Path:
        if filling not in filled:
            file = sqlite_template.with_name(f"{uuid4().hex}.sqlite3")
            shutil.copy(sqlite_template, file)
            assert filling is not None
            _fill_further(f"sqlite:///{file}", file.parent, compiled, filling)
            filled[filling] = file
        return filled[filling]

    return get


@pytest.fixture(scope="session")
def scratch(
    postgres_url: str, postgres_template: str, tmp_path_factory: pytest.TempPathFactory, compiled: Path
) -> Iterator[Callable[[Filling | None], postgres.Scratch]]:
    """A database to be put back after each test; with a filling, one that was filled once."""
    made: dict[Filling | None, postgres.Scratch] = {None: postgres.Scratch(postgres_url, postgres_template)}

    def get(filling: Filling | None) -> postgres.Scratch:
        if filling not in made:
            assert filling is not None
            name = f"{postgres_template}_{len(made)}"
            postgres.copy(postgres_url, postgres_template, name)
            url = postgres.database(postgres_url, name)
            _fill_further(url, tmp_path_factory.mktemp("instance"), compiled, filling)
            made[filling] = postgres.Scratch(postgres_url, name)
        return made[filling]

    yield get
    for scratch in made.values():
        scratch.drop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that is each test's own, migrated and with the small world; every test runs on both kinds.

    A test marked `filled(by=function)` finds done in it what the function did with the world, once for all such tests.
    """
    marker = request.node.get_closest_marker("filled")
    filling = marker.kwargs["by"] if marker else None
    if request.param == "sqlite":
        file = tmp_path / "blangko.sqlite3"
        shutil.copy(request.getfixturevalue("sqlite_filled")(filling), file)
        yield f"sqlite:///{file}"
        return
    scratch: postgres.Scratch = request.getfixturevalue("scratch")(filling)
    yield scratch.take()
    scratch.put_back()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled templates are kept."""
    return tmp_path_factory.mktemp("templates")


@pytest.fixture
def make_app(tmp_path: Path, compiled: Path) -> Iterator[Callable[..., Flask]]:
    """Builds applications with settings of their own, and closes their connections afterwards."""
    made: list[Flask] = []

    def make(url: str, **settings: Any) -> Flask:
        made.append(_build(url, tmp_path, compiled, **settings))
        return made[-1]

    yield make
    for app in made:
        dispose(app)


@pytest.fixture(scope="session")
def lasting_app(tmp_path_factory: pytest.TempPathFactory, compiled: Path) -> Iterator[Callable[..., Flask]]:
    """One application for each kind of database: its routes, templates and statements need compiling only once."""
    built: dict[tuple[str, str], Flask] = {}

    def app_at(url: str, **settings: Any) -> Flask:
        kind = url.partition(":")[0], repr(settings)
        if kind not in built:
            settings |= {"CLOCK": lambda: NOW}
            built[kind] = _build(url, tmp_path_factory.mktemp("instance"), compiled, **settings)
            _connect_where_it_points(built[kind])
        return built[kind]

    yield app_at
    for app in built.values():
        dispose(app)


@pytest.fixture
def app(database_url: str, lasting_app: Callable[..., Flask]) -> Iterator[Flask]:
    """The application on this test's database. What a test changes in its `config` ends with the test."""
    with _pointed_at(lasting_app(database_url), database_url) as app:
        yield app


@pytest.fixture
def crowded_app(database_url: str, lasting_app: Callable[..., Flask]) -> Iterator[Flask]:
    """The same with a connection for every one of sixty threads."""
    with _pointed_at(lasting_app(database_url, SQLALCHEMY_ENGINE_OPTIONS=CROWD), database_url) as app:
        yield app


@pytest.fixture
def world(app: Flask) -> Iterator[World]:
    """The small world inside an application context."""
    with app.app_context():
        yield World(app)


def test_settings(url: str, instance: Path) -> dict[str, Any]:
    return {
        "ENV": "embedded",
        "DATABASE_URL": _with_driver(url),
        "SECRET_KEY": "a key for tests only, long enough to pass",
        "INSTANCE_PATH": str(instance),
        "HOSTS": "localhost,127.0.0.1,blangko.test",
        "TESTING": True,
        "SECOND_FACTOR": "offered",
    }


test_settings.__test__ = False  # type: ignore[attr-defined]


def dispose(app: Flask) -> None:
    from inventory.db import db

    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def _build(url: str, instance: Path, compiled: Path, **settings: Any) -> Flask:
    app = create_app(test_settings(url, instance) | settings)
    app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(compiled))
    return app


def _connect_where_it_points(app: Flask) -> None:
    """Let new connections go where the engine's `url` says now, not where it said when the engine was made.

    To a PostgreSQL server they stay open from test to test.
    """
    from inventory.db import db

    with app.app_context():
        engine = db.engine

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, _record: Any, _args: Any, _parameters: Any) -> Any:
        arguments, parameters = dialect.create_connect_args(engine.url)
        if dialect.name == "postgresql":
            parameters["application_name"] = postgres.LASTING
        return dialect.connect(*arguments, **parameters)


@contextmanager
def _pointed_at(app: Flask, database_url: str) -> Iterator[Flask]:
    from inventory.db import db

    before = dict(app.config)
    url = _with_driver(database_url)
    app.config.update(SETTINGS=replace(app.config["SETTINGS"], DATABASE_URL=url), SQLALCHEMY_DATABASE_URI=url)
    with app.app_context():
        engine = db.engine
    if engine.url != make_url(url):
        engine.dispose()
        engine.url = make_url(url)
    yield app
    with app.app_context():
        db.session.remove()
    if engine.dialect.name == "sqlite" or engine.pool.checkedout():  # type: ignore[attr-defined]
        engine.dispose()
    app.config.clear()
    app.config.update(before)


def _fill(url: str, instance: Path) -> None:
    from flask_migrate import upgrade

    app = create_app(test_settings(url, instance))
    with app.app_context():
        upgrade()
        build_world(NOW)
    dispose(app)


def _fill_further(url: str, instance: Path, compiled: Path, filling: Filling) -> None:
    app = _build(url, instance, compiled, CLOCK=lambda: NOW)
    with app.app_context():
        filling(World(app))
    dispose(app)


def _with_driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")
