-- What the connector postgres-sink keeps beside its tables. It makes this itself where it may create in the schema;
-- else install it as the owner of the database, and the tables of events likewise:
--
--     psql -v ON_ERROR_STOP=1 -f sink.sql
BEGIN;
DO $$
BEGIN
    IF to_regnamespace('inbox') IS NULL THEN
        CREATE SCHEMA inbox;
    END IF;
END
$$;
SET LOCAL search_path = inbox, pg_temp;

-- One row for each connector. Whoever starts raises the generation; each transaction locks the row and goes on only
-- under its own generation, so that two instances never write in turn.
CREATE TABLE IF NOT EXISTS lintas_sinks (
    connector  text PRIMARY KEY,
    generation bigint NOT NULL,
    since      timestamptz NOT NULL DEFAULT now()
);

-- How far each connector has come in its inbox: written in the same transaction as the rows up to there.
CREATE TABLE IF NOT EXISTS lintas_positions (
    connector   text NOT NULL,
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (connector, topic, partition)
);

-- Events that PostgreSQL cannot hold; they stay in the inbox.
CREATE TABLE IF NOT EXISTS lintas_refused (
    connector  text NOT NULL,
    topic      text NOT NULL,
    partition  integer NOT NULL,
    "offset"   bigint NOT NULL,
    agreement  text,
    ce_id      text,
    reason     text NOT NULL,
    refused_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (connector, topic, partition, "offset")
);
COMMIT;
