// Command kindcheck reads a kind configuration as kind itself would and prints it as JSON, or says what is wrong with it.
//
// kind's validation is internal to kind and runs only on the way to creating a cluster. So kindcheck takes that way, with
// itself as the `docker` on the PATH: the stand-in answers kind's questions until kind asks it to make something, which it
// does only after the configuration was decoded strictly and found valid, and refuses that.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"
)

const reachedVariable = "KINDCHECK_REACHED"

func main() {
	if filepath.Base(os.Args[0]) == "docker" {
		os.Exit(standIn(os.Args[1:]))
	}
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: kindcheck CONFIG")
		os.Exit(2)
	}
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func check(path string) error {
	decoded, err := decode(path)
	if err != nil {
		return err
	}
	if err := validate(path); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(decoded)
}

// decode reads the file into kind's public types and refuses fields that they do not have.
func decode(path string) (*v1alpha4.Cluster, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	decoded := &v1alpha4.Cluster{}
	if err := decoder.Decode(decoded); err != nil {
		return nil, err
	}
	v1alpha4.SetDefaultsCluster(decoded)
	return decoded, nil
}

// validate lets kind create a cluster until it turns to the engine; nil means that kind accepted the configuration.
func validate(path string) error {
	folder, err := os.MkdirTemp("", "kindcheck")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Symlink(self, filepath.Join(folder, "docker")); err != nil {
		return err
	}
	reached := filepath.Join(folder, "reached")
	os.Setenv(reachedVariable, reached)
	os.Setenv("PATH", folder)
	os.Setenv("DOCKER_HOST", "unix:///nonexistent")
	provider := cluster.NewProvider(cluster.ProviderWithDocker())
	err = provider.Create("", cluster.CreateWithConfigFile(path), cluster.CreateWithKubeconfigPath(filepath.Join(folder, "kubeconfig")))
	if _, missing := os.Stat(reached); missing == nil {
		return nil
	}
	if err == nil {
		return errors.New("kind neither refused the configuration nor turned to the engine")
	}
	return err
}

// standIn answers what kind asks before it makes anything, and leaves a mark when it is asked for more.
func standIn(words []string) int {
	switch {
	case len(words) > 0 && words[0] == "info":
		fmt.Println(`{"CgroupDriver":"systemd","CgroupVersion":"2","MemoryLimit":true,"PidsLimit":true,"CPUShares":true,"SecurityOptions":[]}`)
		return 0
	case len(words) > 0 && words[0] == "ps":
		return 0
	case len(words) > 0 && words[0] == "inspect": // the node image is there
		return 0
	}
	if err := os.WriteFile(os.Getenv(reachedVariable), nil, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	fmt.Fprintf(os.Stderr, "kindcheck makes nothing: refused docker %v\n", words)
	return 1
}
