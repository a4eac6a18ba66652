-- Two databases with an owner each, made at the first start. Passwords come from files ($SECRETS) and show nowhere.
\set registry_password `cat "$SECRETS/postgres-registry"`
\set lintas_password `cat "$SECRETS/postgres-lintas"`
CREATE ROLE registry LOGIN PASSWORD :'registry_password';
CREATE DATABASE registry OWNER registry;
REVOKE CONNECT ON DATABASE registry FROM PUBLIC;
CREATE ROLE lintas LOGIN PASSWORD :'lintas_password';
CREATE DATABASE lintas OWNER lintas;
REVOKE CONNECT ON DATABASE lintas FROM PUBLIC;
