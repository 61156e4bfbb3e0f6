-- The user of the read API: CLICKHOUSE_READ_USER and CLICKHOUSE_READ_PASSWORD of the Worker. It can read this
-- database, write nothing and read nothing else; and of each table with tenants it sees the rows of one
-- tenant alone: the one with which the query's id begins, up to a slash. The Worker gives each query such an
-- id; nothing in a query's text can change it, as it could a setting: ClickHouse (26.7) does not ask whether a
-- SETTINGS clause of a subquery is allowed. A query whose id names no tenant sees nothing.
-- system.query_log then says whose each query was.
--
-- Put a password in, then: clickhouse-client --database <CLICKHOUSE_DATABASE> --multiquery < reader.sql
-- It may be run again, after an update of Tidemark too. On a cluster, add ON CLUSTER to each statement.
-- docs/API.md says what it is good for, and what ClickHouse's policies do not cover.

-- No `readonly` here: with it the Worker could not send the settings of a query, nor readonly = 1.
CREATE USER IF NOT EXISTS tidemark_reader IDENTIFIED WITH sha256_password BY '<password>';

GRANT SELECT ON * TO tidemark_reader;

CREATE ROW POLICY OR REPLACE tidemark_tenant ON otel_traces FOR SELECT USING TenantId = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON otel_logs FOR SELECT USING TenantId = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON otel_metrics_gauge FOR SELECT USING TenantId = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON otel_metrics_sum FOR SELECT USING TenantId = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON otel_metrics_histogram FOR SELECT USING TenantId = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON otel_metrics_exp_histogram FOR SELECT USING TenantId = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON otel_metrics_summary FOR SELECT USING TenantId = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON service_stats_realtime FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON log_stats_realtime FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON metric_stats_realtime FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON service_graph_realtime FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON service_stats_batch FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON service_stats_days FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON service_stats_hourly_batch FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON service_dedup_batch FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON service_graph_batch FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON log_stats_batch FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON metric_stats_batch FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON metric_series_batch FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON metric_histogram_batch FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON metric_summary_batch FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON layer_drift FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON ledger_received FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON ledger_archived FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_tenant ON ledger_minutes FOR SELECT USING tenant_id = splitByChar('/', initialQueryID())[1] TO tidemark_reader;

-- Everybody else sees what they saw: on servers where a table's policies leave those without one nothing
-- to see (users_without_row_policies_can_read_rows is false).
CREATE ROW POLICY OR REPLACE tidemark_others ON otel_traces FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON otel_logs FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON otel_metrics_gauge FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON otel_metrics_sum FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON otel_metrics_histogram FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON otel_metrics_exp_histogram FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON otel_metrics_summary FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON service_stats_realtime FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON log_stats_realtime FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON metric_stats_realtime FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON service_graph_realtime FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON service_stats_batch FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON service_stats_days FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON service_stats_hourly_batch FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON service_dedup_batch FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON service_graph_batch FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON log_stats_batch FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON metric_stats_batch FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON metric_series_batch FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON metric_histogram_batch FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON metric_summary_batch FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON layer_drift FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON ledger_received FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON ledger_archived FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
CREATE ROW POLICY OR REPLACE tidemark_others ON ledger_minutes FOR SELECT USING 1 TO ALL EXCEPT tidemark_reader;
