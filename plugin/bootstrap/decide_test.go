package bootstrap

import "testing"

func TestDecide(t *testing.T) {
	for _, c := range []struct {
		status int
		found  found
		want   decision
	}{
		{404, found{}, create},
		{200, found{}, create},
		{200, found{exists: true, ours: true, version: 2}, replace},
		{200, found{exists: true, ours: true, version: 3}, keep},
		{200, found{exists: true, ours: true, version: 4}, keepNewer},
		{200, found{exists: true, version: 2}, keepForeign},
		{200, found{exists: true, version: 4}, keepForeign},
		{403, found{}, keepUnread},
		{501, found{}, keepUnread},
	} {
		if got := decide(c.status, c.found, 3); got != c.want {
			t.Errorf("%d %+v: got %v, want %v", c.status, c.found, got, c.want)
		}
	}
}
