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
		"busy for ever":   {1, append(slices.Repeat([]reply{{answered, 10, all(itemBusy), doResend}}, 2), reply{answered, 10, all(itemBusy), doLeave})},
		"a wrong request": {1, []reply{{suspect, 2, tally{}, doHalve}, {suspect, 1, tally{}, doSuspect}}},
		"it breaks twice": {1, []reply{{broke, 4, tally{}, doResend}, {broke, 4, tally{}, doHalve}, {broke, 2, tally{}, doHalve}, {broke, 1, tally{}, doSuspect},
			{answered, 1, all(itemStored), doFinish}, {broke, 2, tally{}, doResend}}},
		"the only host":      {1, []reply{{unreachable, 10, tally{}, doHandBack}}},
		"refused":            {1, []reply{{refused, 10, tally{}, doHandBack}}},
		"the time has ended": {1, []reply{{ended, 10, tally{}, doHandBack}}},
	} {
		s := state{hosts: c.hosts, maxFutile: maxFutile}
		for i, r := range c.replies {
			if got := s.next(r.class, r.n, &r.tally, false); got != r.want {
				t.Errorf("%s, reply %d: got %v, want %v", name, i, got, r.want)
			}
		}
	}
}

// TestNextHost: an ill host is passed over whatever it answers, each host once.
func TestNextHost(t *testing.T) {
	for _, class := range []replyClass{unreachable, broke, unclear, refused, suspect} {
		s := state{hosts: 3, maxFutile: maxFutile}
		for i := range 2 {
			if got := s.next(class, 10, &tally{}, true); got != doResendNow {
				t.Errorf("class %v, reply %d: %v", class, i, got)
			}
		}
		if got := s.next(class, 10, &tally{}, true); got == doResendNow {
			t.Errorf("class %v: no end", class)
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
