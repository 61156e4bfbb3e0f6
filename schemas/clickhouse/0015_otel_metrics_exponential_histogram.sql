-- Exponential histograms under the name by which some schemas and dashboards know the table.
CREATE VIEW IF NOT EXISTS otel_metrics_exponential_histogram AS
SELECT * FROM otel_metrics_exp_histogram;
