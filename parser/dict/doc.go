// Package dict is the FortiEMS dictionary: the raw keys that the parser knows, the
// categories, the sources of lines and the ems- tokens.
//
// It holds names and numbers only and imports no other step of the parser, so that every
// step can use it. All of it is immutable after initialisation.
package dict
