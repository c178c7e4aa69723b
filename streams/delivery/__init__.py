"""Delivery: the wrapper around every agent, which acknowledges an event only after its result is confirmed.

    consumer.py      lanes: decode, run the step, send, acknowledge, retry, pause
    dead_letters.py  dead letters and their headers
    exits.py         how a process ends
    faust_app.py     the Faust app without its agents: settings, start, stop
    health.py        which lanes are paused and why, and when each made progress last
    kafka_login.py   login and encryption of the Kafka clients
    mapping_files.py the files of the mapping, whose change ends a process so that it starts again
    membership.py    the worker's name in the consumer group

Imports: connectors, schemas, topics, settings (faust_app.py and kafka_login.py only); imported by: app, resources,
runtime, commands.
"""
