module fluent-bit-fortiems

go 1.26

require (
	github.com/fluent/fluent-bit-go v0.0.0-20230731091245-a7a013e2473c
	github.com/tinylib/msgp v1.6.5
	github.com/ugorji/go/codec v1.3.2
	go.yaml.in/yaml/v3 v3.0.6
)

require github.com/philhofer/fwd v1.2.0 // indirect
