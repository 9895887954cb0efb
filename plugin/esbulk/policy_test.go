package esbulk

import (
	"slices"
	"testing"
)

// TestNext goes through replies in turn: what is done after each of them.
func TestNext(t *testing.T) {
	type reply struct {
		class replyClass
		n     int // documents in the request
		tally tally
		want  action
	}
	all := func(c itemClass) tally { t := tally{}; t[c] = 10; return t }
	for name, c := range map[string]struct {
		hosts   int
		replies []reply
	}{
		"stored":                      {1, []reply{{answered, 10, all(itemStored), doFinish}}},
		"rejected":                    {1, []reply{{answered, 10, all(itemRejected), doFinish}}},
		"some are busy":               {1, []reply{{answered, 11, tally{itemStored: 1, itemBusy: 10}, doResend}, {answered, 10, all(itemDuplicate), doFinish}}},
		"an operator is needed":       {1, []reply{{answered, 10, all(itemNeedsOperator), doStop}}},
		"needed for some":             {1, []reply{{answered, 11, tally{itemStored: 1, itemNeedsOperator: 10}, doFinish}}},
		"busy ones go first":          {1, []reply{{answered, 11, tally{itemBusy: 1, itemNeedsOperator: 10}, doResend}}},
		"too large":                   {1, []reply{{tooLarge, 2, tally{}, doHalve}, {tooLarge, 1, tally{}, doDeadLetter}}},
		"overloaded, again and again": {1, slices.Repeat([]reply{{overloaded, 10, tally{}, doResend}}, 9)},
		"unclear": {1, []reply{{unclear, 10, tally{}, doResend}, {unclear, 10, tally{}, doResend}, {unclear, 10, tally{}, doResend},
			{unclear, 10, tally{}, doHandBack}}},
		"unclear, not in a row": {1, []reply{{unclear, 10, tally{}, doResend}, {unclear, 10, tally{}, doResend}, {overloaded, 10, tally{}, doResend},
			{unclear, 10, tally{}, doResend}, {unclear, 10, tally{}, doResend}, {unclear, 10, tally{}, doResend}}},
		"the only host":      {1, []reply{{unreachable, 10, tally{}, doHandBack}}},
		"each of three":      {3, []reply{{unreachable, 10, tally{}, doResendNow}, {unreachable, 10, tally{}, doResendNow}, {unreachable, 10, tally{}, doHandBack}}},
		"one of two":         {2, []reply{{unreachable, 10, tally{}, doResendNow}, {overloaded, 10, tally{}, doResend}, {unreachable, 10, tally{}, doResendNow}}},
		"refused":            {3, []reply{{refused, 10, tally{}, doHandBack}}},
		"the time has ended": {3, []reply{{ended, 10, tally{}, doHandBack}}},
	} {
		s := state{hosts: c.hosts}
		for i, r := range c.replies {
			if got := s.next(r.class, r.n, &r.tally); got != r.want {
				t.Errorf("%s, reply %d: got %v, want %v", name, i, got, r.want)
			}
		}
	}
}

// The halves of a request come in the order of their documents.
func TestWork(t *testing.T) {
	docs := []int32{0, 1, 2, 3, 4}
	s := state{work: [][]int32{docs}}
	s.replace(docs[2:], docs[:2])
	if !slices.Equal(s.top(), docs[:2]) || s.rest() != 5 {
		t.Errorf("%v", s.work)
	}
	s.replace()
	if !slices.Equal(s.top(), docs[2:]) || s.rest() != 3 {
		t.Errorf("%v", s.work)
	}
}
