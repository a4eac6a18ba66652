-- The transactional outbox of a system.
--
-- A program, or a trigger, writes a row here in the same transaction as its own work. The connector postgres-outbox
-- publishes each row once, in order per key, and marks it. Needs PostgreSQL 14 or newer. Install it once for each
-- system, as the owner of the database; running it again changes nothing:
--
--     psql -v ON_ERROR_STOP=1 -f outbox.sql
--
-- A role called lintas_connector, if there is one, is given what the connector needs. Then let in whoever writes, and a
-- connector that logs in under another name:
--
--     GRANT USAGE ON SCHEMA lintas TO connector_role;
--     GRANT SELECT, UPDATE, DELETE ON lintas.outbox TO connector_role;
--     GRANT USAGE ON SCHEMA lintas TO program_role;
--     GRANT INSERT ON lintas.outbox TO program_role;                    -- writes rows itself
--     GRANT EXECUTE ON FUNCTION lintas.outbox_from_row() TO table_owner; -- makes triggers
BEGIN;
CREATE SCHEMA IF NOT EXISTS lintas;
SET LOCAL search_path = lintas, pg_temp;

-- An identity without a cache: of two transactions that wait for one another (they change the same row of a table), the
-- second gets the higher id. So ids are in order for each key, though transactions commit in another order.
CREATE TABLE IF NOT EXISTS outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    event_id     text NOT NULL DEFAULT gen_random_uuid()::text UNIQUE CHECK (event_id <> ''),
    event_type   text NOT NULL,
    payload      jsonb NOT NULL,
    subject      text,
    key          text,
    time         timestamptz NOT NULL DEFAULT now(),
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'published', 'refused')),
    reason       text,
    refusals     integer NOT NULL DEFAULT 0,
    published_at timestamptz
);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (id) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS outbox_published ON outbox (published_at) WHERE state = 'published';

COMMENT ON TABLE outbox IS 'Events to be published on Lintas; rows are not changed once written, only refused ones are mended';
COMMENT ON COLUMN outbox.event_id IS 'the id of the event: unique within the system';
COMMENT ON COLUMN outbox.event_type IS 'reverse-DNS name with version';
COMMENT ON COLUMN outbox.payload IS 'the data, as the schema of the event type has it';
COMMENT ON COLUMN outbox.subject IS 'whom or what it is about; null: the field of the payload that the event type names';
COMMENT ON COLUMN outbox.key IS 'events of one key stay in order; null: the subject';
COMMENT ON COLUMN outbox.time IS 'when it happened';
COMMENT ON COLUMN outbox.state IS 'waiting; published; refused: mend the row and set it to waiting';
COMMENT ON COLUMN outbox.reason IS 'why it was refused: fields and rules, no values';
COMMENT ON COLUMN outbox.refusals IS 'how often it was refused; the connector counts';

-- Wakes the connector, which otherwise looks once a second. A database with very many small transactions may drop the
-- trigger: NOTIFY makes their commits wait for one another.
CREATE OR REPLACE FUNCTION outbox_told() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_notify(TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, '');
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER outbox_told AFTER INSERT ON outbox
    FOR EACH STATEMENT EXECUTE FUNCTION outbox_told();

-- A payload made of a row: texts in ``shape`` name columns ("old.x" those of the row before an update), texts that begin
-- with "=" are constants, other scalars stand as they are, objects and lists hold more of the same.
CREATE OR REPLACE FUNCTION outbox_payload(shape jsonb, new_row jsonb, old_row jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT AS $$
DECLARE
    named text := shape #>> '{}';
    found jsonb := new_row;
BEGIN
    CASE jsonb_typeof(shape)
        WHEN 'object' THEN
            RETURN (SELECT coalesce(jsonb_object_agg(field, outbox_payload(below, new_row, old_row)), '{}')
                    FROM jsonb_each(shape) AS fields (field, below));
        WHEN 'array' THEN
            RETURN (SELECT coalesce(jsonb_agg(outbox_payload(below, new_row, old_row) ORDER BY place), '[]')
                    FROM jsonb_array_elements(shape) WITH ORDINALITY AS items (below, place));
        WHEN 'string' THEN
            IF starts_with(named, '=') THEN
                RETURN to_jsonb(substr(named, 2));
            END IF;
            IF starts_with(named, 'old.') THEN
                named := substr(named, 5);
                found := old_row;
            END IF;
            IF found ? named THEN
                RETURN found -> named;
            END IF;
            RAISE EXCEPTION 'the mapping of an event names the column %, which there is not', named
                USING ERRCODE = 'undefined_column',
                      HINT = 'Texts name columns, "old.x" those before an update; constants begin with "=".';
        ELSE
            RETURN shape;
    END CASE;
END
$$;

-- Makes an event of each row that is inserted, changed or deleted:
--
--     CREATE TRIGGER birth_event AFTER INSERT ON births FOR EACH ROW EXECUTE FUNCTION lintas.outbox_from_row(
--         'id.go.dukcapil.birth.registered.v1',
--         '{"registration_number": "number", "child": {"nik": "child_nik", "sex": "sex"}, "province": "=32"}',
--         '{"time": "registered_at"}');
--
-- Arguments: the event type; the payload's shape; if need be the shapes of subject, key and time. It writes with the
-- rights of its owner, so that programs need none on the outbox.
CREATE OR REPLACE FUNCTION outbox_from_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET bytea_output = hex AS $$
DECLARE
    old_row jsonb := CASE WHEN TG_OP IN ('UPDATE', 'DELETE') THEN to_jsonb(OLD) END;
    new_row jsonb := CASE WHEN TG_OP = 'DELETE' THEN old_row ELSE to_jsonb(NEW) END;
    made jsonb := outbox_payload(coalesce(TG_ARGV[2], '{}')::jsonb, new_row, old_row);
BEGIN
    IF TG_WHEN <> 'AFTER' OR TG_LEVEL <> 'ROW' THEN
        RAISE EXCEPTION 'the trigger % is not made AFTER ... FOR EACH ROW', TG_NAME
            USING ERRCODE = 'trigger_protocol_violated',
                  HINT = 'What it returns would keep the row itself from being written: make it anew.';
    END IF;
    INSERT INTO outbox (event_type, payload, subject, key, time) VALUES (
        TG_ARGV[0],
        outbox_payload(TG_ARGV[1]::jsonb, new_row, old_row),
        made ->> 'subject',
        made ->> 'key',
        coalesce((made ->> 'time')::timestamptz, now())
    );
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION outbox_from_row() FROM PUBLIC;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'lintas_connector') THEN
        GRANT USAGE ON SCHEMA lintas TO lintas_connector;
        GRANT SELECT, UPDATE, DELETE ON outbox TO lintas_connector;
    END IF;
END
$$;
COMMIT;
