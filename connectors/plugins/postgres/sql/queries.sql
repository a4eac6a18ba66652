-- The statements of the PostgreSQL connectors; names in braces are filled in by the connector.

-- name: session
-- How a connector's session behaves: what is committed stays so, a lost peer lets go of its locks, texts have one form.
SELECT set_config('synchronous_commit', 'on', false), set_config('lock_timeout', '10s', false),
       set_config('idle_in_transaction_session_timeout', '60s', false), set_config('TimeZone', 'UTC', false),
       set_config('DateStyle', 'ISO, YMD', false), set_config('IntervalStyle', 'iso_8601', false),
       set_config('bytea_output', 'hex', false)

-- name: outbox_claim
-- The next waiting rows, locked. A row that somebody else has locked is passed over, and so is whatever comes behind it
-- with the same key, or with none, whose key is a matter of the payload. Ends behind about two megabytes.
WITH claimed AS MATERIALIZED (
    SELECT id, pg_column_size(payload) AS size FROM {outbox} AS outbox
    WHERE state = 'waiting' ORDER BY id LIMIT %(rows)s FOR UPDATE SKIP LOCKED
), held AS (
    SELECT coalesce(key, subject, '') AS key, min(id) AS first FROM {outbox} AS outbox
    WHERE state = 'waiting' AND id < (SELECT max(id) FROM claimed) AND NOT EXISTS (
        SELECT FROM claimed WHERE claimed.id = outbox.id
    )
    GROUP BY 1
), measured AS (
    SELECT id, sum(size) OVER (ORDER BY id) - size AS before FROM claimed
)
SELECT id, event_id, event_type, payload::text, subject, outbox.key, to_jsonb(time) #>> '{{}}' AS time, refusals
FROM {outbox} AS outbox JOIN measured USING (id)
WHERE before < 2000000 AND NOT EXISTS (
    SELECT FROM held
    WHERE first < id AND (held.key IN ('', coalesce(outbox.key, subject, '')) OR coalesce(outbox.key, subject) IS NULL)
)
ORDER BY id

-- name: outbox_publish
-- Mark what is on the bus: not a row that was refused and has been mended since.
UPDATE {outbox} AS outbox SET state = 'published', reason = NULL, published_at = now()
FROM unnest(%(ids)s::text[], %(refusals)s::integer[]) AS done (event_id, refusals)
WHERE outbox.event_id = done.event_id AND outbox.refusals = done.refusals AND state = 'waiting'

-- name: outbox_remove
-- ... or let go of it.
DELETE FROM {outbox} AS outbox
USING unnest(%(ids)s::text[], %(refusals)s::integer[]) AS done (event_id, refusals)
WHERE outbox.event_id = done.event_id AND outbox.refusals = done.refusals AND state = 'waiting'

-- name: outbox_refuse
-- Mark a row that the bus would not take.
UPDATE {outbox} SET state = 'refused', reason = %(reason)s, refusals = refusals + 1
WHERE event_id = %(id)s AND state = 'waiting'

-- name: outbox_tidy
-- Remove rows that were published long ago, some at a time.
DELETE FROM {outbox} WHERE id IN (
    SELECT id FROM {outbox}
    WHERE state = 'published' AND published_at < now() - make_interval(secs => %(seconds)s)
    ORDER BY published_at LIMIT 5000 FOR UPDATE SKIP LOCKED
)

-- name: slot_state
-- Where a slot stands; no row: there is none.
SELECT plugin, confirmed_flush_lsn::text, wal_status FROM pg_replication_slots
WHERE slot_name = %(slot)s AND database = current_database()

-- name: wait_for_locks
-- How long from here on; 0: as long as it takes.
SELECT set_config('lock_timeout', %(time)s, false)

-- name: slot_create
SELECT lsn::text FROM pg_create_logical_replication_slot(%(slot)s, 'pgoutput')

-- name: slot_advance
-- Let the server forget the log up to a place, unless the slot is there already.
SELECT pg_replication_slot_advance(slot_name, %(lsn)s::pg_lsn) FROM pg_replication_slots
WHERE slot_name = %(slot)s AND confirmed_flush_lsn < %(lsn)s::pg_lsn

-- name: slot_peek
-- What was committed since the slot's place and before another, whole transactions in the order of their commits.
SELECT data FROM pg_logical_slot_peek_binary_changes(
    {slot}, %(until)s::pg_lsn, %(changes)s, 'proto_version', '1', 'publication_names', {publication}
)

-- name: log_end
-- Up to where the log is safe: what was written further is not shown by a look yet.
SELECT pg_current_wal_flush_lsn()::text

-- name: server_identity
SELECT system_identifier::text FROM pg_control_system()

-- name: published_tables
-- The tables of a publication with their numbers and columns, and whether the log has their whole old rows.
SELECT schemaname || '.' || tablename AS name, pg_class.oid, attnames::text[] AS columns, relreplident = 'f' AS whole
FROM pg_publication_tables
JOIN pg_namespace ON nspname = schemaname
JOIN pg_class ON relnamespace = pg_namespace.oid AND relname = tablename
WHERE pubname = %(publication)s

-- name: replication_refuse
INSERT INTO {refused} (event_id, event_type, origin, reason) VALUES (%(id)s, %(event_type)s, %(origin)s, %(reason)s)
ON CONFLICT (event_id) DO NOTHING

-- name: sink_installed
SELECT to_regclass(%(schema)s || '.lintas_refused') IS NOT NULL

-- name: sink_begin
-- Raise the generation: waits for a transaction of the instance before, and ends its right to begin another.
INSERT INTO {sinks} AS sinks (connector, generation) VALUES (%(connector)s, 1)
ON CONFLICT (connector) DO UPDATE SET generation = sinks.generation + 1, since = now()
RETURNING generation

-- name: sink_hold
-- Keep every other instance out until this transaction ends.
SELECT generation FROM {sinks} WHERE connector = %(connector)s FOR UPDATE

-- name: sink_positions
SELECT topic, partition, next_offset FROM {positions} WHERE connector = %(connector)s

-- name: sink_keep_position
INSERT INTO {positions} (connector, topic, partition, next_offset)
VALUES (%(connector)s, %(topic)s, %(partition)s, %(next_offset)s)
ON CONFLICT (connector, topic, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset

-- name: sink_refuse
INSERT INTO {refused} (connector, topic, partition, "offset", agreement, ce_id, reason)
VALUES (%(connector)s, %(topic)s, %(partition)s, %(offset)s, %(agreement)s, %(id)s, %(reason)s)
ON CONFLICT (connector, topic, partition, "offset") DO NOTHING

-- name: sink_refused
SELECT count(*) FROM {refused} WHERE connector = %(connector)s

-- name: table_columns
-- The columns of a table and their types as PostgreSQL writes them; no row: there is no such table.
SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 AND NOT attisdropped
