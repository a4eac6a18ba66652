-- What the connector postgres-replication needs in the database that it reads.
--
-- The server runs with wal_level = logical. Install as the owner of the database; running it again changes nothing:
--
--     psql -v ON_ERROR_STOP=1 -f replication.sql
--
-- Then name the tables whose rows become events, and let the connector in. REPLICATION is a right to read whatever is
-- written to the log of this database: give it to no other role.
--
--     CREATE PUBLICATION lintas FOR TABLE births, deaths;
--     ALTER TABLE births REPLICA IDENTITY FULL;    -- only where updates or deletions become events
--     ALTER ROLE connector_role REPLICATION;
--     GRANT USAGE ON SCHEMA lintas TO connector_role;
--     GRANT SELECT, INSERT ON lintas.refused TO connector_role;
BEGIN;
CREATE SCHEMA IF NOT EXISTS lintas;
SET LOCAL search_path = lintas, pg_temp;

CREATE TABLE IF NOT EXISTS refused (
    event_id   text PRIMARY KEY,
    event_type text NOT NULL,
    origin     text NOT NULL,
    reason     text NOT NULL,
    refused_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE refused IS 'Changes of tables that could not be published as events; mend the row or the mapping';
COMMENT ON COLUMN refused.origin IS 'table, kind of change and place in the log';
COMMENT ON COLUMN refused.reason IS 'fields and rules, no values';
COMMIT;
