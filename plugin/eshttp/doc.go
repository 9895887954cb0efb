// Package eshttp sends the requests of an output to Elasticsearch or OpenSearch and
// explains what goes wrong.
//
// Client knows the hosts, the login and TLS. Hosts are used in turn; one that is ill (see
// Error.Ill) rests, 2 seconds at first, while others answer. No redirect is followed and
// nothing is sent twice. Client is an esapi.Transport; Client.Pinned stays with one host.
//
// Call is one request; Do is a Call whose answer is read whole. Both return their
// failures as *Error: host, operation, status, error type, cause and hint. Every text
// that explains a failure to an operator is in explain.go; a better hint for a kind of
// answer is one row of its table.
//
// Errors hold addresses, statuses, types and reasons of the server, never credentials.
package eshttp
