// Package esbulk ships the chunks of one Fluent Bit output instance to
// Elasticsearch or OpenSearch with bulk requests.
//
// The promise: a flush answers OK only when every document of the chunk is
// stored or written to the dead letters, ours or the failure store of its data
// stream. Whatever else happens it answers Retry, within the flush timeout, and
// when the chunk comes again the documents that are done with are left out and the
// others carry the same ids as before, so that a server that had stored them
// answers 409 and nothing is stored twice.
//
// The package has no cgo and knows no host. Documents are written as JSON straight
// from MessagePack, without maps; the memory of a flush is one request
// (bulk_max_bytes), its compressed form and a few bytes per document, whatever the
// size of the chunk. Lines that it logs hold counts, statuses, option names, host
// names and error types, never credentials or parts of documents.
package esbulk
