package esbulk

import "time"

// state is how far the delivery of a batch is. It does no I/O: the sender executes what
// next decides.
type state struct {
	// work has the requests to be made, each a list of documents of the batch. The last
	// one is next.
	work   [][]int32
	hosts  int // of the instance
	pauses int // since a request was done with
	// unclear and unreached count replies in a row.
	unclear, unreached int
}

// maxUnclear is how often in a row a reply may leave open what became of the documents
// before they are handed back.
const maxUnclear = 4

// tally is how many documents of a request have an item class.
type tally [itemClasses]int

// action is what the sender does with the next request.
type action int

const (
	doFinish     action = iota // all of its documents are done with or handed back
	doResend                   // after a pause: what is left of it
	doResendNow                // to the next host
	doHalve                    // send its halves
	doDeadLetter               // its one document
	doStop                     // hand back what is left of the batch; no other batch has a chance now
	doHandBack                 // stop, because of the reply
)

// next decides after a reply; n is the number of documents that were sent, t what became
// of them if it is answered.
func (s *state) next(c replyClass, n int, t *tally) action {
	if c != unclear {
		s.unclear = 0
	}
	if c != unreachable {
		s.unreached = 0
	}
	switch c {
	case answered:
		settled := t[itemStored] + t[itemDuplicate] + t[itemInFailureStore]
		switch {
		case t[itemBusy] > 0:
			return doResend
		case t[itemNeedsOperator] > 0 && settled == 0:
			return doStop
		}
		return doFinish
	case tooLarge:
		if n == 1 {
			return doDeadLetter
		}
		return doHalve
	case overloaded:
		return doResend
	case unclear: // the ids are the same, so nothing is stored twice
		if s.unclear++; s.unclear < maxUnclear {
			return doResend
		}
	case unreachable:
		if s.unreached++; s.unreached < s.hosts {
			return doResendNow
		}
	}
	return doHandBack
}

// top is the next request.
func (s *state) top() []int32 { return s.work[len(s.work)-1] }

// replace puts requests in the place of the next one, the last of them first in turn.
func (s *state) replace(requests ...[]int32) {
	s.work = append(s.work[:len(s.work)-1], requests...)
}

// rest is the number of documents in all requests.
func (s *state) rest() (n int) {
	for _, docs := range s.work {
		n += len(docs)
	}
	return n
}

// Pauses between requests of one flush. The first is about firstPause; each further
// one is twice as long as the one before, up to longestPause. Jitter takes off up
// to half, so that many agents do not come back at the same moment.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 10 * time.Second
)

// pause is how long to wait before a request is sent again; random is in [0, 1).
func (s *state) pause(random float64) time.Duration {
	pause := longestPause
	if s.pauses < 6 {
		pause = min(firstPause<<s.pauses, longestPause)
	}
	s.pauses++
	return pause - time.Duration(random*float64(pause)/2)
}
