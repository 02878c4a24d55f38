"""Process 2: follows the controller and the ledger and uploads to the county over MQTT.

It reads (socket, ledger, active configuration) and never acts: nothing that arrives here can
change a threshold, an output, a count or an inhibit. It may die and start again at any moment;
the controller does not notice.

- `json_v1` makes the messages of the upload, version 1 (docs/upload.md, docs/asyncapi.yaml);
- `outbox` keeps on disk what must not get lost, `ledger_follow` reads events by cursor;
- `link` holds the connection to the broker and is the only importer of paho;
- `lanes` decides what goes out next, `answers` serves the county's read-only requests;
- `publisher` ties them together, `__main__` is the process.
"""
