# shellcheck shell=bash disable=SC2154
# nginx in front of another server, for TLS and passwords. From Debian's package, without installing it: no service begins.
# To be sourced after lib.sh. The certificates are in DIR/tls (certificates.sh says which).

# begin_front HTTP TCP: launches it in front of a server at port HTTP, and of one at port TCP; an empty one is left out.
#   DIR/front.port       HTTP with basic authentication (user `app`, password `secret`)
#   DIR/front-tls.port   the same over TLS
#   DIR/tls.port         TLS alone, before TCP
#   DIR/mutual.port      TLS with client certificates required, before TCP
begin_front() {
  local nginx
  "$here/certificates.sh" "$dir/tls"
  nginx=$(unpacked nginx nginx libnginx-mod-stream)
  mkdir -p "$dir/front-temp"
  printf 'app:%s\n' "$(openssl passwd -apr1 secret)" >"$dir/front.users"
  {
    echo "load_module $nginx/usr/lib/nginx/modules/ngx_stream_module.so;"
    printf '%s\n' 'daemon off;' 'master_process off;' "pid $dir/front.nginx;" 'events { worker_connections 256; }'
    [ -z "$1" ] || front_http "$1"
    [ -z "$2" ] || front_tcp "$2"
  } >"$dir/front.conf"
  launch "$dir/front.pid" "$dir/front.out" "$nginx/usr/sbin/nginx" -c "$dir/front.conf" -e "$dir/front.log"
}

front_certificate() { echo "ssl_certificate $dir/tls/server.pem; ssl_certificate_key $dir/tls/server.key;"; }

front_http() {
  local kind
  echo 'http { access_log off; client_max_body_size 64m;'
  echo "client_body_temp_path $dir/front-temp/client_body;"
  for kind in proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $dir/front-temp/$kind;"; done
  cat <<E
  upstream behind { server 127.0.0.1:$1; keepalive 8; }
  server {
    listen 127.0.0.1:$(port "$dir/front.port");
    listen 127.0.0.1:$(port "$dir/front-tls.port") ssl;
    $(front_certificate)
    auth_basic tests;
    auth_basic_user_file $dir/front.users;
    location / {
      proxy_pass http://behind;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "";
    }
  }
}
E
}

front_tcp() {
  cat <<E
stream {
  server {
    listen 127.0.0.1:$(port "$dir/tls.port") ssl;
    $(front_certificate)
    proxy_pass 127.0.0.1:$1;
  }
  server {
    listen 127.0.0.1:$(port "$dir/mutual.port") ssl;
    $(front_certificate)
    ssl_client_certificate $dir/tls/ca.pem;
    ssl_verify_client on;
    proxy_pass 127.0.0.1:$1;
  }
}
E
}
