// Command show prints how it was started, as the tests' server.
package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "exit" {
		code, err := strconv.Atoi(os.Args[2])
		if err != nil {
			panic(err)
		}
		os.Exit(code)
	}
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	fmt.Println("args", strings.Join(os.Args[1:], "|"))
	fmt.Println("dir", dir)
	fmt.Println("user", os.Getuid(), os.Getgid())
	for _, entry := range slices.Sorted(slices.Values(os.Environ())) {
		fmt.Println("env", entry)
	}
}
