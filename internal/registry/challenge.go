package registry

import "strings"

// challenge is one authentication scheme that a registry offers (RFC 9110,
// section 11.6.1).
type challenge struct {
	scheme string            // lower case
	params map[string]string // names in lower case
}

// parseChallenges reads WWW-Authenticate headers, of which there may be several,
// each with several challenges. What is malformed ends its header.
func parseChallenges(headers []string) []challenge {
	var all []challenge //nolint:prealloc // almost always one
	for _, header := range headers {
		all = append(all, parseChallengeHeader(header)...)
	}
	return all
}

func parseChallengeHeader(rest string) []challenge {
	var list []challenge
	for {
		var word, value string
		word, rest = cutToken(strings.TrimLeft(rest, " \t,"))
		if word == "" {
			return list
		}
		word = strings.ToLower(word)
		after, isParam := strings.CutPrefix(strings.TrimLeft(rest, " \t"), "=")
		if !isParam {
			list = append(list, challenge{scheme: word, params: map[string]string{}})
			continue
		}
		value, rest = cutValue(strings.TrimLeft(after, " \t"))
		if len(list) == 0 {
			return nil // A parameter of no scheme.
		}
		list[len(list)-1].params[word] = value
	}
}

// cutToken cuts a token (RFC 9110, section 5.6.2) off the front.
func cutToken(s string) (token, rest string) {
	end := strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}

// cutValue cuts a token or a quoted string (RFC 9110, section 5.6.4) off the front.
func cutValue(s string) (value, rest string) {
	quoted, ok := strings.CutPrefix(s, `"`)
	if !ok {
		return cutBare(s)
	}
	var b strings.Builder
	for i := 0; i < len(quoted); i++ {
		switch c := quoted[i]; {
		case c == '"':
			return b.String(), quoted[i+1:]
		case c == '\\' && i+1 < len(quoted):
			i++
			b.WriteByte(quoted[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "" // The closing quote is missing.
}

// cutBare is generous: some registries do not quote their realm.
func cutBare(s string) (value, rest string) {
	end := strings.IndexAny(s, " \t,")
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}
