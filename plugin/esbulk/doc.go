// Package esbulk ships the chunks of one Fluent Bit output instance to Elasticsearch or
// OpenSearch with bulk requests.
//
// A flush answers OK only when every document of the chunk is stored or a dead letter,
// ours or in the failure store of its data stream. Otherwise it answers Retry, within the
// flush timeout. When the chunk comes again, documents that are done with are left out and
// the others have the same ids as before: what a server had stored already it answers with
// 409, so nothing is stored twice.
//
// # The way of a chunk
//
//  1. Shipper.Flush waits for Retry-After and the bootstrap, and takes up which documents
//     of the chunk an earlier try delivered (delivered.go).
//  2. reader.fill writes the next documents as JSON into a batch, at most bulk_max_docs
//     and bulk_max_bytes (body.go, json.go, target.go, id.go).
//  3. delivery.sendOnce packs a request of the batch and sends it (sender.go, request.go);
//     readItems reads the answer item by item (response.go).
//  4. classify says what the reply means for the request, item.class what became of each
//     document: two tables (classify.go).
//  5. state.next decides without I/O: finish, resend, resend to the next host, halve, dead
//     letter, stop, hand back (policy.go). delivery.run executes that, logs and counts.
//     limits.go has what a request may hold now, trial.go the documents that fail alone.
//  6. Rejected documents go to the dead letters (deadletter*.go). What is handed back is
//     remembered until the chunk comes again.
//
// # To add a kind of bulk answer
//
// Add a row to itemRows (answer to a document) or replyClasses (to a request), above the
// more general rows: statuses, part of the error type, part of the reason, class. Add its
// case to classify_test.go. If operators need another hint than that of its status, add a
// row to hints in plugin/eshttp/explain.go and a case to its test. An answer that is about the
// index is one row of the table index there, which decides the class as well. Only a new class needs a
// case in state.next.
//
// The package has no cgo and knows no host. The memory of a flush is one request
// (bulk_max_bytes), its compressed form and a few bytes per document, whatever the size of
// the chunk. Log lines have counts, statuses, option names, host names and error types,
// never credentials or parts of documents.
package esbulk
