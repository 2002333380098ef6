package stress

import "slices"

// Growth tells by how many percent a figure has grown from the beginning of the
// steady state, which is after a fifth of the samples, to its end. One look
// tells nothing, as garbage comes and is collected, and now and then a flush or
// a merge needs more: it is the line through the medians of the two halves.
func Growth(list []Sample, of func(Sample) float64) float64 {
	list = list[len(list)/5:]
	half := len(list) / 2
	before, after := Median(list[:half], of), Median(list[half:], of)
	first := before - (after-before)/2
	if first <= 0 {
		return 0
	}
	return 100 * 2 * (after - before) / first
}

// Median is the value that half of the samples do not exceed, 0 when there are
// none.
func Median(list []Sample, of func(Sample) float64) float64 {
	if len(list) == 0 {
		return 0
	}
	all := make([]float64, len(list))
	for i, s := range list {
		all[i] = of(s)
	}
	slices.Sort(all)
	return all[len(all)/2]
}
