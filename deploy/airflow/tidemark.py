"""The batch of Tidemark by Airflow: see docs/SCHEDULE.md.

Each run computes the one day, or the one hour, of its own data interval, never today's: run again, or
backfilled by Airflow, it computes the same period. Running twice is harmless: what is up to date is left
as it is. Late data is found by the tasks that end with `due`.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

from airflow import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

try:  # Airflow 3, then 2
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:
    from airflow.operators.bash import BashOperator

# How the command is reached from a worker, such as `docker run … tidemark` or `npx tidemark`. Settings
# (S3_…, CLICKHOUSE_…) come from the worker's environment.
TIDEMARK = os.environ.get("TIDEMARK_COMMAND", "tidemark")
SHARDS = int(os.environ.get("TIDEMARK_SHARDS", "4"))

DEFAULTS = {
    "retries": 2,
    "retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=6),
}

# In UTC, whatever the time zone of Airflow's interface is. Airflow 3 gives a plain cron line an interval
# without length, hence the timetables below.
DAY = "{{ data_interval_start.in_timezone('UTC').to_date_string() }}"
HOUR = "{{ data_interval_start.in_timezone('UTC').hour }}"


def task(name: str, arguments: str) -> BashOperator:
    return BashOperator(task_id=name, bash_command=f"{TIDEMARK} batch {arguments}")


with DAG(
    dag_id="tidemark_days",
    description="Exact figures of each day, four hours after its end",
    # Runs at 04:00 for the interval that began at 04:00 of the day before, which names the day.
    schedule=CronDataIntervalTimetable("0 4 * * *", timezone="UTC"),
    start_date=datetime(2026, 11, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["tidemark"],
) as days:
    shards = [
        task(f"shard_{index}", f"shard --date {DAY} --index {index} --of {SHARDS} --job airflow-{DAY}")
        for index in range(SHARDS)
    ]
    merge = task("merge", f"merge --date {DAY} --job airflow-{DAY}")
    shards >> merge >> task("due", "run --due")

with DAG(
    dag_id="tidemark_hours",
    description="Exact figures of each hour of traces, ten minutes after its end",
    # Runs at 14:10 for the interval from 13:10, which names the hour.
    schedule=CronDataIntervalTimetable("10 * * * *", timezone="UTC"),
    start_date=datetime(2026, 11, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS | {"execution_timeout": timedelta(minutes=50)},
    tags=["tidemark"],
) as hours:
    hour = task("hour", f"run --date {DAY} --hour {HOUR}")
    hour >> task("due", "run --due --kind hour")
