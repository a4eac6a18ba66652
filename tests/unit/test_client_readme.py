import inspect
import re
import subprocess
import sys
from pathlib import Path

import lintas_client
from lintas_client import ClientError

CLIENT = Path(lintas_client.__file__).parent
README = (CLIENT.parent / "README.md").read_text()


def test_the_program_in_the_readme_runs() -> None:
    (program,) = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "InMemoryBus" in block]
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_readme_lists_every_error() -> None:
    errors = {
        name for name, found in vars(lintas_client).items() if inspect.isclass(found) and issubclass(found, ClientError)
    }
    first_column = "".join(re.findall(r"^\| `.*? \|", README, re.MULTILINE))
    assert errors - {"ClientError"} == set(re.findall(r"`(\w+)`", first_column))


def test_the_client_needs_nothing_of_the_bus() -> None:
    foreign = re.compile(r"^\s*(?:from|import) (lintas|schemas|streams|connectors|monitoring)\b", re.MULTILINE)
    assert not [path for path in CLIENT.rglob("*.py") if foreign.search(path.read_text())]
