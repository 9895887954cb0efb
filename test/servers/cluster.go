package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Cluster is several nodes that form one cluster, each a Server.
type Cluster struct{ Nodes []*Server }

// StartCluster starts n nodes of kind and waits until all of them have joined. Dir and Port
// of o do not count. The caller closes it.
func StartCluster(ctx context.Context, kind Kind, n int, o Options) (_ *Cluster, err error) {
	c := &Cluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	// Ports have to be known before the first node starts.
	ports, err := freePorts(2 * n)
	if err != nil {
		return nil, err
	}
	var transports, names []string
	for i := range n {
		transports = append(transports, fmt.Sprintf("127.0.0.1:%d", ports[2*i]))
		names = append(names, fmt.Sprintf("node%d", i))
	}
	if o.Security {
		if o.access, err = newAccess(); err != nil {
			return nil, err
		}
	}
	started := make(chan error, n)
	c.Nodes = make([]*Server, n)
	for i := range n {
		own := []string{
			"node.name=" + names[i], fmt.Sprintf("transport.port=%d", ports[2*i]),
			"discovery.seed_hosts=" + strings.Join(transports, ","), "cluster.initial_master_nodes=" + strings.Join(names, ","),
			"cluster.fault_detection.follower_check.timeout=2s", "cluster.fault_detection.leader_check.timeout=2s",
		}
		one := o
		one.Dir, one.Port, one.transport, one.Node = "", ports[2*i+1], ports[2*i], own
		go func() {
			s, err := Start(ctx, kind, one)
			c.Nodes[i] = s
			started <- err
		}()
	}
	for range n {
		err = errors.Join(err, <-started)
	}
	return c, err
}

// URLs are the addresses of the nodes, as for the option hosts.
func (c *Cluster) URLs() string {
	var list []string
	for _, s := range c.Nodes {
		list = append(list, s.URL())
	}
	return strings.Join(list, ",")
}

// Close ends all nodes and removes their data.
func (c *Cluster) Close() (err error) {
	for _, s := range c.Nodes {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

// freePorts returns different ports that nobody listens on now.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
