package builtin

// editDistance is the Levenshtein distance with a cost for each insertion,
// deletion and substitution of a character.
func editDistance(a, b string, ins, del, sub int) int {
	s, t := []rune(a), []rune(b)
	row := make([]int, len(t)+1)
	for j := range row {
		row[j] = j * ins
	}
	for i, c := range s {
		prev := row[0]
		row[0] = (i + 1) * del
		for j, d := range t {
			cost := prev
			if c != d {
				cost += sub
			}
			prev = row[j+1]
			row[j+1] = min(cost, row[j]+ins, prev+del)
		}
	}
	return row[len(t)]
}
