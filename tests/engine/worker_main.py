"""A worker process that runs the toy; settings come from the environment."""

import os

from app.engine.worker import run
from app.settings import Settings
from tests.engine.toy import toy

if __name__ == "__main__":
    run(Settings.load(os.environ), [toy])
