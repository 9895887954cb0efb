module fluent-bit-fortiems

go 1.26
