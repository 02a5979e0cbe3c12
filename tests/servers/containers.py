"""The servers of `deploy.servers` in containers: for machines where a Docker engine answers."""

import shlex
from abc import abstractmethod
from functools import cache
from pathlib import Path

import docker
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

from deploy.servers import Kafka, Postgres, Prometheus, Redis, Server


@cache
def docker_answers() -> bool:
    try:
        client = docker.from_env(timeout=10)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except DockerException:
        return False


class InContainer(Server):
    """A server whose program runs in a container, with the port and the ways of the native one."""

    _container: DockerContainer | None = None

    @abstractmethod
    def container(self) -> DockerContainer: ...

    def find(self) -> None: ...

    def launch(self) -> None:
        if self._container is None:
            self._container = self.container()
            self._container.start()
        else:
            self._container.get_wrapped_container().start()

    def is_running(self) -> bool:
        if self._container is None:
            return False
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return wrapped.status == "running"

    def stop(self) -> None:
        if self.is_running():
            self._container.get_wrapped_container().stop(timeout=60)

    def kill(self) -> None:
        if self.is_running():
            self._container.get_wrapped_container().kill()

    def last_lines(self) -> str:
        if self._container is None:
            return ""
        return self._container.get_wrapped_container().logs(tail=15).decode(errors="replace")

    def __exit__(self, *_: object) -> None:
        if self._container is not None:
            self._container.stop()
            self._container = None

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), "_container": None}


class ContainedRedis(InContainer, Redis):
    def prepare(self) -> None: ...

    def container(self) -> DockerContainer:
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--requirepass", self.password]
        return on_the_host("redis:7.4", ["redis-server", *where, "--appendonly", "yes", "--appendfsync", "always"])


class ContainedPostgres(InContainer, Postgres):
    def prepare(self) -> None:
        if not self._password_file.exists():
            self.draw_password()

    def container(self) -> DockerContainer:
        user = {"POSTGRES_USER": "homeostat", "POSTGRES_PASSWORD": self.password}
        return on_the_host("postgres:17", ["postgres", "-h", "127.0.0.1", "-p", str(self.port)]).with_envs(**user)


class ContainedKafka(InContainer, Kafka):
    def prepare(self) -> None:
        self.configure(data=Path("/tmp/homeostat"))  # noqa: S108 - inside the container

    def container(self) -> DockerContainer:
        tool = "/opt/kafka/bin/kafka-storage.sh"
        format_once = shlex.join([tool, *self.format_arguments(), "--ignore-formatted"])
        serve = f"exec /opt/kafka/bin/kafka-server-start.sh {self.folder}/server.properties"
        as_root = {"entrypoint": "/bin/bash", "user": "0"}  # the key is ours alone to read
        container = on_the_host("apache/kafka:4.1.1", ["-c", f"{format_once} && {serve}"], **as_root)
        return container.with_volume_mapping(self.folder, str(self.folder))


class ContainedPrometheus(InContainer, Prometheus):
    def container(self) -> DockerContainer:
        options = [part for part in self.options() if not part.startswith("--storage.tsdb.path")]
        container = on_the_host("prom/prometheus:v3.5.0", [*options, "--storage.tsdb.path=/prometheus"])
        for folder in {self.folder, *(path.parent.absolute() for path in self.rules)}:
            container.with_volume_mapping(folder, str(folder))
        return container


def on_the_host(image: str, command: list[str], **options: str) -> DockerContainer:
    """A container on the host's network: its port is on loopback, and so is what it has to reach."""
    return DockerContainer(image, network_mode="host", **options).with_command(command)
