# Computes chunk-paths.json from the definition in docs (chunk identity, coordinator choice), independently of the code:
# python3 test/golden/chunk-paths.py > test/golden/chunk-paths.json
import hashlib, struct, json, binascii
lp=lambda s: struct.pack('<Q',len(s.encode()))+s.encode()
def path(o,b,k,e,cs,i):
    return f"{o}/{hashlib.sha256(lp(o)+lp(b)+lp(k)+lp(e)+struct.pack('<Q',cs)).hexdigest()}/{i}"
def score(p,peer):
    h=hashlib.sha256(p.encode()).digest()
    return str(int.from_bytes(hashlib.sha256(h+peer.encode()).digest()[:8],'big'))
paths=[("models-eu","acme-models-eu","llama/70b/model-00001.safetensors","9bb58f26192e4ba00f01e2e7b136bbd8",8<<20,0),
 ("o","b","sp ace/(1)+é%2F..//x","d41d8cd98f00b204e9800998ecf8427e-3",64<<20,7),
 ("A.b_c-9","bucket.with.dots","k","\"odd\"",128<<20,1234567)]
peers=["10.0.0.1:8444","10.0.0.2:8444","[fd00::3]:8444"]
vec=[]
for a in paths:
    p=path(*a)
    vec.append({"originId":a[0],"bucket":a[1],"key":a[2],"etag":a[3],"chunkSizeBytes":a[4],"index":a[5],"path":p,
     "scores":{q:score(p,q) for q in peers},"ranked":sorted(peers,key=lambda q:(-int(score(p,q)),q))})
print(json.dumps(vec,indent=2,ensure_ascii=False))
