// Package budget divides a number of series among metrics, so that one metric's labels cannot use up another's place.
//
// A known metric can always have its reserve. Beyond that it takes from what is left to all, up to a limit of its own. All unknown
// names together are one more such account. It is not safe for concurrent use.
package budget

import "slices"

// Unknown is the account of all metrics whose names are not known.
const Unknown = "(unknown)"

// Account is the series of one known metric, or of all unknown ones.
type Account struct {
	Metric string
	Limit  int
	Used   int

	reserve int
}

// Budget is the accounts and what is left to all of them.
type Budget struct {
	accounts map[string]*Account
	unknown  *Account
	names    int
	left     int
	maxNames int
}

// New makes the accounts of the known metrics.
func New(config Config, known []string) *Budget {
	b := &Budget{accounts: make(map[string]*Account, len(known)), maxNames: config.UnknownNames, left: config.MaxSeries}
	for _, name := range known {
		limit := config.SeriesPerMetric
		if own, ok := config.SeriesByMetric[name]; ok {
			limit = own
		}
		b.accounts[name] = b.open(name, limit, config.ReservedSeries)
	}
	b.unknown = b.open(Unknown, config.UnknownSeries, config.ReservedSeries)
	return b
}

func (b *Budget) open(name string, limit, reserve int) *Account {
	reserve = min(limit, reserve)
	b.left -= reserve
	return &Account{Metric: name, Limit: limit, reserve: reserve}
}

// Account is the one that the series of a metric come from.
func (b *Budget) Account(metric string) *Account {
	if a := b.accounts[metric]; a != nil {
		return a
	}
	return b.unknown
}

// IsKnown tells whether a metric has an account of its own.
func (b *Budget) IsKnown(metric string) bool { return b.accounts[metric] != nil }

// Accounts lists all accounts, by name.
func (b *Budget) Accounts() []*Account {
	all := make([]*Account, 0, len(b.accounts)+1)
	for _, a := range b.accounts {
		all = append(all, a)
	}
	all = append(all, b.unknown)
	slices.SortFunc(all, func(x, y *Account) int {
		if x.Metric < y.Metric {
			return -1
		}
		return 1
	})
	return all
}

// Take takes one series, or says that there is none left.
func (b *Budget) Take(a *Account) bool {
	if a.Used >= a.Limit || a.Used >= a.reserve && b.left <= 0 {
		return false
	}
	b.Force(a)
	return true
}

// Force takes one series even if none is left: one that was there before the budget was cut, or the one that others are folded into.
func (b *Budget) Force(a *Account) {
	if a.Used >= a.reserve {
		b.left--
	}
	a.Used++
}

// Return gives back what was taken.
func (b *Budget) Return(a *Account) {
	a.Used--
	if a.Used >= a.reserve {
		b.left++
	}
}

// TakeName admits the name of a metric that was not seen before; a known one always.
func (b *Budget) TakeName(metric string) bool {
	if !b.IsKnown(metric) {
		if b.names >= b.maxNames {
			return false
		}
		b.names++
	}
	return true
}

// ForceName admits a name that was there before.
func (b *Budget) ForceName(metric string) {
	if !b.IsKnown(metric) {
		b.names++
	}
}

// ReturnName gives a name back.
func (b *Budget) ReturnName(metric string) {
	if !b.IsKnown(metric) {
		b.names--
	}
}

// Names is how many unknown names there are, and how many there may be.
func (b *Budget) Names() (used, limit int) { return b.names, b.maxNames }
