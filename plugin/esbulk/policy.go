package esbulk

import "time"

// state is how far the delivery of a batch is. It does no I/O: the sender executes what
// next decides.
type state struct {
	// work has the requests to be made, each a list of documents of the batch. The last
	// one is next.
	work      [][]int32
	hosts     int // of the instance
	maxFutile int // of futile
	pauses    int // since a request was done with
	// These count replies in a row: from hosts that are ill, unclear ones, connections that
	// broke, and answers in which every document is busy.
	ill, unclear, broke, futile int
	// halving: a request was halved because its connections broke, and none was answered
	// since.
	halving bool
}

// Bounds of replies in a row.
const (
	maxUnclear = 4 // that leave open what became of the documents, before they are handed back
	maxBroke   = 2 // connections that break on the same request, before it is halved
	maxFutile  = 3 // answers in which every document is busy, before they are handed back
)

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
	doSuspect                  // its one document, if others get through
	doLeave                    // hand back its documents, which are busy, and go on if others get through
	doStop                     // hand back what is left of the batch; no other batch has a chance now
	doHandBack                 // stop, because of the reply
)

// next decides after a reply; n is the number of documents that were sent, t what became
// of them if it is answered. ill says that another host may do better.
func (s *state) next(c replyClass, n int, t *tally, ill bool) action {
	if !ill {
		s.ill = 0
	} else if s.ill++; s.ill < s.hosts {
		return doResendNow // the ids are the same, so nothing is stored twice
	}
	if c != unclear {
		s.unclear = 0
	}
	if c != broke {
		s.broke = 0
	}
	switch c {
	case answered:
		s.halving = false
		settled := t[itemStored] + t[itemDuplicate] + t[itemInFailureStore]
		switch {
		case t[itemBusy] > 0:
			if s.futile++; settled+t[itemRejected] > 0 && s.maxFutile > 1 {
				s.futile = 0
			}
			if s.futile >= s.maxFutile {
				return doLeave
			}
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
	case unclear:
		if s.unclear++; s.unclear < maxUnclear {
			return doResend
		}
	case broke:
		if s.broke++; s.broke < maxBroke && !s.halving {
			return doResend
		}
		s.broke, s.halving = 0, true
		if n == 1 {
			return doSuspect
		}
		return doHalve
	case suspect:
		if n == 1 {
			return doSuspect
		}
		return doHalve
	}
	return doHandBack
}

// top is the next request.
func (s *state) top() []int32 { return s.work[len(s.work)-1] }

// replace puts requests in the place of the next one, the last of them first in turn.
func (s *state) replace(requests ...[]int32) {
	s.work = append(s.work[:len(s.work)-1], requests...)
}

// postpone puts the next request behind all others.
func (s *state) postpone() {
	docs := s.top()
	copy(s.work[1:], s.work)
	s.work[0] = docs
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
