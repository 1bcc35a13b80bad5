package config

// minKey is how many bytes a key must have: nobody guesses 16.
const minKey = 16

// sessionKey returns the key that signs sessions.
func (p *parser) sessionKey(t table) string {
	const variable = "RUNNER_SESSION_KEY"
	key := p.orFile(variable, t.SessionKey, t.SessionKeyFile)
	if from := p.either(variable); key != "" && len(key) < minKey {
		p.faults.add(from, "%s: the key is shorter than %d bytes: \"openssl rand -hex 32\" makes one", from, minKey)
	}
	return key
}

// bridgeGiven returns the variables that are set and mean something to a bridge
// alone.
func (p *parser) bridgeGiven() []string {
	var names []string
	for _, v := range Variables() {
		if v.Group == "bridge" && p.set(v.Name) {
			names = append(names, v.Name)
		}
	}
	return names
}
