// Data sources: what the code that connects to them calls their types.

package flow

// DataSourcePostgres is the type of data sources that notify, too.
const DataSourcePostgres = "postgres"
